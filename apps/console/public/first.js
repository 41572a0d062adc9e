// Runs before everything else; a file of its own, because the CSP allows no inline script.

// A chosen colour scheme is there at the first paint.
{
  const scheme = localStorage.getItem('postern.scheme')
  if (scheme === 'light' || scheme === 'dark') document.documentElement.dataset.scheme = scheme
}

// zod must not try whether it may compile code: it may not, and the CSP would report every try.
globalThis.__zod_globalConfig = { jitless: true }
