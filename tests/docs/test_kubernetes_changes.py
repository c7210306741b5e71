"""The shipped rules on roll-outs and scaling, against the series of kube-state-metrics."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from aiopsd.config import PackSettings
from aiopsd.correlation.changes import VALUE, VersionWatch
from aiopsd.document import read
from aiopsd.settings import Reader
from tests.docs.snippets import ROOT

PACK = ROOT / "rules" / "kubernetes-changes.yaml"
PODS = {"cart-7d9f8b6c5-x2x4z": "cart", "db-0": "db", "web": "web", "agent-x2x4z": "agent",
        "payments-primary": "payments-primary"}  # fmt: skip


def pack() -> PackSettings:
    document = read(PACK)
    found: PackSettings = Reader(document).read(PackSettings, document.data)
    assert document.problems == []
    return found


@pytest.mark.prometheus
def test_prometheus_answers_as_the_rules_expect(tmp_path: Path) -> None:
    """Pods by workload; of Deployments those that no autoscaler scales."""
    groups = [{"record": f"r:{rule.id}", "expr": rule.promql} for rule in pack().rules]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "a", "rules": groups}]}))
    image = 'kube_pod_container_info{namespace="p",pod="POD",container="c",image="i:1"}'
    series = [image.replace("POD", pod) for pod in PODS] + [
        'kube_deployment_spec_replicas{namespace="p",deployment="cart"}',
        'kube_deployment_spec_replicas{namespace="p",deployment="web"}',
        'kube_horizontalpodautoscaler_info{namespace="p",horizontalpodautoscaler="web",'
        'scaletargetref_kind="Deployment",scaletargetref_name="web"}',
    ]
    wanted = [
        {"labels": f'r:k8s_image{{namespace="p",workload="{name}",container="c",image="i:1"}}',
         "value": 1} for name in PODS.values()
    ]  # fmt: skip
    scaled = [{"labels": 'r:k8s_replicas{namespace="p",deployment="cart"}', "value": 1}]
    (tmp_path / "test.yaml").write_text(json.dumps({
        "rule_files": ["rules.yaml"],
        "tests": [{
            "interval": "1m",
            "input_series": [{"series": one, "values": "1 1 1"} for one in series],
            "promql_expr_test": [
                {"expr": "r:k8s_image", "eval_time": "2m", "exp_samples": wanted},
                {"expr": "r:k8s_replicas", "eval_time": "2m", "exp_samples": scaled},
            ],
        }],
    }))  # fmt: skip
    check = ["promtool", "test", "rules", str(tmp_path / "test.yaml")]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_image_is_a_deploy_and_other_replicas_are_scaling() -> None:
    rules = {rule.id: rule for rule in pack().rules}
    found = []
    for name, before, after in (
        ("k8s_image", ({"image": "shop/cart:v1"}, 1.0), ({"image": "shop/cart:v2"}, 1.0)),
        ("k8s_replicas", ({}, 3.0), ({}, 5.0)),
        ("k8s_autoscaler_limit", ({}, 10.0), ({}, 2.0)),
    ):
        rule = rules[name]
        assert rule.change is not None
        label = VALUE if rule.change.value else rule.change.label
        watch = VersionWatch(rule.id, rule.entity, label, rule.change.kind)
        for time_s, (labels, value) in ((0.0, before), (60.0, after)):
            found += watch.observe(time_s, [dict.fromkeys(rule.entity, "cart") | labels], [value])
    assert [(one.kind, one.service, one.previous, one.version) for one in found] == [
        ("deploy", "cart", "shop/cart:v1", "shop/cart:v2"),
        ("scale", "cart", "3", "5"),
        ("scale", "cart", "10", "2"),
    ]
