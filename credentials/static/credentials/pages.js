// An answer that is no result of the test (the person was signed out meanwhile, or something failed) is
// shown as the page it is: the form is sent the ordinary way.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr, pathInfo, elt } = event.detail;
  const answered = xhr.responseURL ? new URL(xhr.responseURL).pathname : pathInfo.requestPath;
  if (answered !== pathInfo.requestPath || xhr.status >= 400) {
    event.preventDefault();
    elt.submit();
  }
});

// A text to send to somebody: copied by a button, which only shows where this runs.
function offerCopies(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = false;
  }
}

async function copy(button) {
  const field = document.getElementById(button.dataset.copy);
  const said = button.parentElement.querySelector("[role=status]");
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    said.textContent = said.dataset.copied;
  } catch {
    // Browsers hide the clipboard from pages that came without encryption; the text is selected all the same.
    said.textContent = said.dataset.selected;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    copy(button);
  }
});
document.addEventListener("htmx:load", (event) => offerCopies(event.detail.elt));
offerCopies(document);
