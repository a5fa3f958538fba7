// A test that meets the sign-in page (the person was signed out meanwhile) leads there instead of
// putting that page into this one.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr, pathInfo } = event.detail;
  const answered = xhr.responseURL ? new URL(xhr.responseURL).pathname : pathInfo.requestPath;
  if (answered !== pathInfo.requestPath || xhr.status >= 400) {
    event.preventDefault();
    window.location.reload();
  }
});
