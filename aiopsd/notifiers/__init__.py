"""Who is told, and how. One line a notifier: its settings are its factory."""

from aiopsd.notifiers.mqtt import MqttSettings
from aiopsd.notifiers.slack import SlackSettings
from aiopsd.notifiers.webhook import WebhookSettings

NotifierSettings = MqttSettings | SlackSettings | WebhookSettings
