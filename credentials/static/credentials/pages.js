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
