// The frame's own behaviour: keys, menus, toasts, live figures. Everything here is a convenience: pages work without it.

const live = () => document.getElementById('live');

export function say(text) {
  const region = live();
  if (!region || !text) return;
  region.textContent = '';
  requestAnimationFrame(() => { region.textContent = text; });
}

const typing = (target) => target instanceof HTMLElement
  && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

export function openDialog(id) {
  const dialog = document.getElementById(id);
  if (dialog && !dialog.open) dialog.showModal();
  return dialog;
}

let lead = 0; // when "g" was pressed

document.addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    openDialog('palette');
    return;
  }
  if (event.key === 'Escape') closeMenus();
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector('dialog[open]')) return;
  if (event.key === '/') {
    event.preventDefault();
    const search = document.querySelector('main [data-search]');
    if (search) { search.focus(); search.select(); } else openDialog('palette');
  } else if (event.key === '?') {
    event.preventDefault();
    openDialog('shortcuts');
  } else if (event.key === 'g') {
    lead = event.timeStamp;
  } else if (event.timeStamp - lead < 1200) {
    lead = 0;
    document.querySelector(`.side [data-key="${CSS.escape(event.key)}"]`)?.click();
  }
});

function closeMenus(except) {
  for (const menu of document.querySelectorAll('details[data-menu][open]')) {
    if (menu === except) continue;
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector('summary').focus();
  }
}

document.addEventListener('click', (event) => {
  const target = event.target instanceof Element ? event.target : null;
  if (!target) return;
  closeMenus(target.closest('details[data-menu]'));

  const opener = target.closest('[data-open]');
  if (opener) {
    event.preventDefault();
    openDialog(opener.dataset.open);
  }
  const closer = target.closest('[data-close]');
  if (closer) closer.closest('dialog').close();
  if (target instanceof HTMLDialogElement) target.close(); // the veil

  const copy = target.closest('[data-copy]');
  if (copy) {
    navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent.trim());
    say(copy.dataset.copied);
    copy.querySelector('span').textContent = copy.dataset.copied;
  }
  const again = target.closest('[data-reload]');
  if (again) { event.preventDefault(); location.reload(); }
});

// Buttons that only scripts can serve are hidden until there are scripts.
for (const element of document.querySelectorAll('[data-scripted]')) element.hidden = false;

// A select that goes somewhere does so at once; without scripts its form has a button.
document.addEventListener('change', (event) => {
  const field = event.target;
  if (field instanceof HTMLSelectElement && field.dataset.goes !== undefined) field.form.requestSubmit();
});

// Live figures: every few seconds, not while the page is hidden, and not twice at once.
setInterval(() => {
  if (document.visibilityState !== 'visible') return;
  for (const element of document.querySelectorAll('[data-poll]')) {
    if (!element.contains(document.activeElement)) element.dispatchEvent(new CustomEvent('poll'));
  }
}, 5000);

// A toast can be undone for 10 s; it stays while it is pointed at or focused.
function watchToasts() {
  for (const toast of document.querySelectorAll('.toast-line:not([data-seen])')) {
    toast.dataset.seen = '';
    let left = 10;
    const tick = setInterval(() => {
      if (toast.matches(':hover, :focus-within')) return;
      left -= 1;
      if (left <= 0) { clearInterval(tick); toast.remove(); }
    }, 1000);
    say(toast.dataset.says);
  }
}
watchToasts();

document.addEventListener('htmx:after:swap', () => {
  watchToasts();
  const told = document.querySelector('[data-announce]:not([data-told])');
  if (told) { told.dataset.told = ''; say(told.dataset.announce); }
});

document.addEventListener('htmx:error', () => say(document.body.dataset.lost));
