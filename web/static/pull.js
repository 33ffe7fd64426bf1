// Follows a pull: begins it where no question is due, shows how far it is, and
// goes where the link leads. Without this script the page's button does the same.
(function () {
  "use strict";
  document.documentElement.classList.add("js");
  var $ = function (id) { return document.getElementById(id); };

  function go(page) { location.replace(page); }

  function show(s) {
    var bar = $("bar"), step = $("step"), numbers = $("numbers");
    if (s.percent >= 0) bar.value = Math.max(s.percent, bar.value || 0); else bar.removeAttribute("value");
    if (s.text && step.textContent !== s.text) step.textContent = s.text;
    numbers.textContent = s.numbers || "";
    bar.setAttribute("aria-valuetext", ((s.percent >= 0 ? s.percent + " %, " : "") + (s.text || "") + (s.numbers ? ", " + s.numbers : "")));
    if (s.phase === "syncing") return false;
    if (s.phase === "finished" && s.target) {
      // The way back leads to what changed, and not to another pull.
      history.replaceState(null, "", s.page);
      location.assign(s.target);
    } else go(s.page);
    return true;
  }

  function follow(events) {
    $("progress").hidden = false;
    var misses = 0, source = new EventSource(events);
    source.onmessage = function (e) { misses = 0; if (show(JSON.parse(e.data))) source.close(); };
    source.onerror = function () {
      if (++misses < 4 && source.readyState !== EventSource.CLOSED) return;
      source.close();
      ask(events.replace("events?", "status?"), 0);
    };
  }

  // ask is for proxies that do not pass a stream on.
  function ask(url, failed) {
    fetch(url, { headers: { Accept: "application/json" } }).then(function (r) {
      if (!r.ok) { go(url.replace("status?", "pull?")); return; }
      return r.json().then(function (s) { if (!show(s)) setTimeout(ask, 1000, url, 0); });
    }).catch(function () {
      if (failed < 30) setTimeout(ask, 2000, url, failed + 1);
      else trouble("Your server does not answer. The files come all the same: click the link again in a minute.");
    });
  }

  function trouble(text) {
    var alert = $("alert"), p = document.createElement("p");
    p.textContent = text;
    alert.className = "notice";
    alert.replaceChildren(p);
    $("progress").hidden = true;
    $("begin").classList.add("again");
  }

  // A button that answers a question takes no click in the moment in which its page comes
  // into sight: that is the second half of a double click that was meant for another page.
  function settle(button) {
    var timer;
    function again() {
      clearTimeout(timer);
      delete button.dataset.ready;
      if (document.visibilityState === "visible") timer = setTimeout(function () { button.dataset.ready = "yes"; }, 800);
    }
    button.addEventListener("click", function (e) {
      if (button.dataset.ready || e.detail === 0) return; // 0: by the keyboard
      e.preventDefault();
      e.stopImmediatePropagation();
      var p = $("early") || document.createElement("p");
      p.id = "early";
      p.setAttribute("role", "alert");
      p.textContent = "That click came as this page opened. Press again if you mean it.";
      button.parentNode.after(p);
    }, true);
    document.addEventListener("visibilitychange", again);
    window.addEventListener("pageshow", again);
    again();
  }

  function begin(form) {
    var button = $("yes");
    if (button.disabled) return; // pressed twice
    button.disabled = true;
    $("progress").hidden = false;
    form.classList.add("sent");
    $("step").textContent = "Starting";
    fetch("begin", { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" }, redirect: "error" }).then(function (r) {
      return r.json().then(function (s) {
        if (r.ok) { follow(s.events); return; }
        if (s.code === "DP-380" && sessionStorage.getItem("daypass-again") !== location.href) {
          sessionStorage.setItem("daypass-again", location.href);
          location.reload();
          return;
        }
        trouble(s.message);
        button.disabled = false;
      });
    }).catch(function () {
      trouble("Your server does not answer. Nothing was begun. Try again.");
      button.disabled = false;
    });
  }

  function land(link) {
    var left = 6, soon = $("soon"), stay = $("stay"), timer;
    function tick() {
      if (left === 0) {
        history.replaceState(null, "", location.href + "&stay=yes"); // the way back does not lead on again
        location.assign(link.href);
        return;
      }
      if (left === 6) soon.textContent = "It opens by itself in a few seconds.";
      left--;
      timer = setTimeout(tick, 1000);
    }
    stay.hidden = false;
    stay.addEventListener("click", function () { clearTimeout(timer); soon.textContent = "It stays here until you open it."; stay.hidden = true; link.focus(); });
    document.addEventListener("toggle", function () { stay.click(); }, true);
    tick();
  }

  function copying(field, button) {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(field.value).then(
        function () { $("copied").textContent = "Copied."; },
        function () { field.focus(); field.select(); $("copied").textContent = "Your browser did not let this page copy it. It is selected: press Ctrl+C, or ⌘C."; });
    });
  }

  // A page that a browser makes ready before anybody asked for it begins nothing.
  function seen(act) {
    if (document.prerendering) document.addEventListener("prerenderingchange", act, { once: true });
    else act();
  }

  document.addEventListener("DOMContentLoaded", function () {
    var form = $("begin"), progress = $("progress"), link = document.querySelector("[data-land]"), answer = document.querySelector("[data-answer]");
    if (answer) settle(answer);
    if (form) {
      form.addEventListener("submit", function (e) { e.preventDefault(); begin(form); });
      if (form.hasAttribute("data-auto")) seen(function () { begin(form); });
    }
    if (progress && progress.dataset.events) follow(progress.dataset.events);
    if (link) seen(function () { land(link); });
    if ($("send")) copying($("send"), $("copy"));
  });
})();
