// The command palette: an input over a list that the server fills; arrows choose, Enter goes.

const input = () => document.querySelector('#palette input');
const options = () => [...document.querySelectorAll('#palette-list [role="option"]')];

function choose(option) {
  for (const other of options()) other.setAttribute('aria-selected', other === option ? 'true' : 'false');
  if (option) {
    input().setAttribute('aria-activedescendant', option.id);
    option.scrollIntoView({ block: 'nearest' });
  } else {
    input().removeAttribute('aria-activedescendant');
  }
}

const dialog = document.getElementById('palette');

if (dialog) {
  new MutationObserver(() => {
    if (!dialog.open) return;
    input().select();
    input().dispatchEvent(new CustomEvent('fill'));
  }).observe(dialog, { attributes: true, attributeFilter: ['open'] });

  dialog.addEventListener('keydown', (event) => {
    const all = options();
    const at = all.findIndex((option) => option.getAttribute('aria-selected') === 'true');
    if (event.key === 'ArrowDown') { event.preventDefault(); choose(all[Math.min(at + 1, all.length - 1)]); }
    if (event.key === 'ArrowUp') { event.preventDefault(); choose(all[Math.max(at - 1, 0)]); }
    if (event.key === 'Enter') { event.preventDefault(); (all[at] ?? all[0])?.click(); }
  });

  document.addEventListener('htmx:after:swap', (event) => {
    if (dialog.open && (event.target === input() || dialog.contains(event.target))) choose(options()[0]);
  });
}
