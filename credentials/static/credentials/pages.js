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

// A ZIP file is sent with its progress shown; without this script the form does the same in silence.
function send(form) {
  const shown = form.querySelector("[data-progress]");
  const bar = shown.querySelector("progress");
  const said = shown.querySelector("[role=status]");
  const button = form.querySelector("button[type=submit]");
  const request = new XMLHttpRequest();
  const end = (text) => {
    said.textContent = text;
    bar.hidden = true;
    button.disabled = false;
  };
  shown.hidden = false;
  bar.hidden = false;
  button.disabled = true;
  said.textContent = said.dataset.sending;
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) {
      bar.value = (event.loaded / event.total) * 100;
    }
  });
  request.upload.addEventListener("load", () => {
    said.textContent = said.dataset.sent;
  });
  request.addEventListener("load", () => {
    if (request.status < 400 && request.responseURL !== form.action) {
      location.assign(request.responseURL);
      return;
    }
    // The same form again, with what is wrong.
    const answer = new DOMParser().parseFromString(request.responseText, "text/html");
    const again = answer.getElementById("import");
    if (again) {
      document.getElementById("import").replaceWith(document.adoptNode(again));
      document.querySelector("[data-upload] .errorlist")?.scrollIntoView({ block: "center" });
    } else {
      end(said.dataset.broken);
    }
  });
  request.addEventListener("error", () => end(said.dataset.broken));
  request.addEventListener("abort", () => end(said.dataset.stopped));
  shown.querySelector("[data-stop]").onclick = () => request.abort();
  request.open("POST", form.action);
  request.send(new FormData(form));
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-upload]");
  if (!form) {
    return;
  }
  event.preventDefault();
  const file = form.querySelector("input[type=file]").files[0];
  if (file && file.size > Number(form.dataset.limit)) {
    const shown = form.querySelector("[data-progress]");
    shown.hidden = false;
    shown.querySelector("progress").hidden = true;
    shown.querySelector("[data-stop]").hidden = true;
    const said = shown.querySelector("[role=status]");
    said.textContent = said.dataset.tooLarge;
    return;
  }
  send(form);
});

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    const field = event.target instanceof Element ? event.target.closest("[data-upload] .drop") : null;
    if (!field) {
      return;
    }
    event.preventDefault();
    field.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) {
      field.querySelector("input[type=file]").files = event.dataTransfer.files;
    }
  });
}

// What an import does is spoken when it changes, not with every number.
document.addEventListener("htmx:load", () => {
  const said = document.getElementById("said");
  const now = document.getElementById("progress-of-import");
  if (said && now && said.textContent !== now.dataset.said) {
    said.textContent = now.dataset.said;
  }
});
