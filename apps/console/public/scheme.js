// Runs before the first paint, so that a chosen colour scheme does not flash; a file of its own, because the CSP allows no inline script.
{
  const scheme = localStorage.getItem('postern.scheme')
  if (scheme === 'light' || scheme === 'dark') document.documentElement.dataset.scheme = scheme
}
