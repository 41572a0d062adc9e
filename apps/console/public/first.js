// Runs before everything else. It is a separate file because the CSP allows no inline script.

// Applies a chosen colour scheme before the first paint.
{
  const scheme = localStorage.getItem('postern.scheme')
  if (scheme === 'light' || scheme === 'dark') document.documentElement.dataset.scheme = scheme
}

// Keeps zod from testing whether it may compile code. It may not, and the CSP would report every attempt.
globalThis.__zod_globalConfig = { jitless: true }
