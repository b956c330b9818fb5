// SPDX-License-Identifier: BSD-3-Clause
// Replaces the parts of the page by those that the server draws once a second. A part that is the same stays untouched.
"use strict";
const source = new EventSource("events");
const shown = new Map();
const lost = document.getElementById("lost");
source.onmessage = (event) => {
  lost.hidden = true;
  for (const [id, html] of Object.entries(JSON.parse(event.data))) {
    if (shown.get(id) === html) continue;
    shown.set(id, html);
    document.getElementById(id).innerHTML = html;
  }
};
source.onerror = () => {
  lost.hidden = false;
  if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000); // it was refused
};
