/* Does a small proof of work while somebody fills in a sign-up form, so that robots are not worth their while.
   The form works without it. Nothing is read of the page but the form that asks for it, nothing is stored. */
(() => {
  "use strict";
  const FRESH = 15 * 60 * 1000;
  const PATIENCE = 20 * 1000;

  async function started(address) {
    if (new URL(address, location.href).origin === location.origin) return new Worker(address);
    const source = await (await fetch(address, { credentials: "omit" })).text();
    return new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  }

  async function worked(form) {
    const challenge = await (await fetch(form.dataset.challenge, { credentials: "omit" })).json();
    const worker = await started(form.dataset.work);
    try {
      const solution = await new Promise((done, failed) => {
        worker.onmessage = (message) => (message.data && "counter" in message.data ? done(message.data) : failed());
        worker.onerror = failed;
        worker.postMessage({ type: "work", challenge, timeout: PATIENCE });
      });
      return btoa(JSON.stringify({ challenge, solution }));
    } finally {
      worker.terminate();
    }
  }

  function attend(form) {
    let busy = null;
    let at = 0;
    const work = () => {
      if (busy && Date.now() - at < FRESH) return busy;
      at = Date.now();
      busy = worked(form).then((payload) => { form.elements.altcha.value = payload; }, () => { busy = null; });
      return busy;
    };
    form.addEventListener("focusin", work, { once: true });
    form.addEventListener("submit", (event) => {
      if (form.dataset.ready) return;
      event.preventDefault();
      form.setAttribute("aria-busy", "true");
      const patience = new Promise((done) => setTimeout(done, PATIENCE));
      // Never within this very event: a form that is being sent cannot be sent.
      Promise.race([work(), patience]).finally(() => setTimeout(() => {
        form.dataset.ready = "yes";
        form.requestSubmit();
        delete form.dataset.ready;
      }));
    });
  }

  if (window.Worker && window.crypto && window.crypto.subtle) {
    document.querySelectorAll("form[data-challenge][data-work]").forEach(attend);
  }
})();
