// Keeps the channel as the stream says it is; what has not changed is not touched.
"use strict";

const channel = document.getElementById("channel");
const live = document.getElementById("live");
const known = new Map();

let anchor = 0;

// The newest message from its header on: the header tells the state, "Latest" the newest line.
function follow() {
  const last = channel.lastElementChild;
  channel.scrollTop = last ? last.offsetTop - channel.offsetTop : 0;
  anchor = channel.scrollTop;
}

function element(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

function show(messages) {
  const following = Math.abs(channel.scrollTop - anchor) < 40;
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
  if (following) follow();
}

const stream = new EventSource("stream");
stream.onmessage = (event) => { live.textContent = "live"; live.className = ""; show(JSON.parse(event.data)); };
stream.onerror = () => { live.textContent = "not connected"; live.className = "gone"; };
stream.addEventListener("end", () => { stream.close(); live.textContent = "the demo has ended"; live.className = "gone"; });
follow();
