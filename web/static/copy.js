// Copies what a page shows once. Without this script the field is there to be
// selected by hand.
(function () {
  "use strict";
  var field = document.getElementById("pass-text"), button = document.getElementById("copy"), said = document.getElementById("copied");
  if (!field || !button || !said || !navigator.clipboard) return;
  button.hidden = false;
  field.addEventListener("focus", function () { field.select(); });
  field.select();
  button.addEventListener("click", function () {
    navigator.clipboard.writeText(field.value).then(
      function () { said.textContent = "Copied."; },
      function () { field.focus(); field.select(); said.textContent = "Your browser did not let this page copy it. It is selected: press Ctrl+C, or ⌘C."; });
  });
})();
