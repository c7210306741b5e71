// Keeps the channel as the stream says it is; what has not changed is not touched.
"use strict";

const channel = document.getElementById("channel");
const live = document.getElementById("live");
const known = new Map();

function atEnd() {
  return channel.scrollHeight - channel.scrollTop - channel.clientHeight < 80;
}

function element(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

function show(messages) {
  const follow = atEnd();
  let before = null;
  for (const [ts, html] of messages) {
    let node = document.getElementById("m" + ts);
    if (known.get(ts) !== html) {
      known.set(ts, html);
      const fresh = element(html);
      if (!node) {
        fresh.classList.add("new");
        if (before) before.after(fresh); else channel.append(fresh);
        node = fresh;
      } else if (!node.isEqualNode(fresh)) {
        fresh.classList.add("changed");
        node.replaceWith(fresh);
        node = fresh;
      }
    }
    before = node;
  }
  if (follow) channel.scrollTop = channel.scrollHeight;
}

const stream = new EventSource("stream");
stream.onmessage = (event) => { live.textContent = "live"; live.className = ""; show(JSON.parse(event.data)); };
stream.onerror = () => { live.textContent = "not connected"; live.className = "gone"; };
stream.addEventListener("end", () => { stream.close(); live.textContent = "the demo has ended"; live.className = "gone"; });
channel.scrollTop = channel.scrollHeight;
