// Fields that were changed and not sent hold the page back once.

let changed = false;

document.addEventListener('input', (event) => {
  if (event.target instanceof Element && event.target.closest('form[data-guard]')) changed = true;
});
document.addEventListener('submit', () => { changed = false; });
window.addEventListener('beforeunload', (event) => {
  if (changed) event.preventDefault();
});
