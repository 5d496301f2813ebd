// Sets a chosen theme before the first paint, so that a dark page never flashes white. A classic script on purpose:
// modules run only after the page was parsed. Without a choice the style sheet follows the system.
(() => {
  const fromUrl = new URLSearchParams(location.search).get('theme');
  let kept = null;
  try {
    kept = localStorage.getItem('sunfire-theme');
  } catch {
    // Storage may be forbidden; the system's theme then serves.
  }
  const theme = fromUrl ?? kept;
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
})();
