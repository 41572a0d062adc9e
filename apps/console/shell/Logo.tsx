/** The logo: a gate with a light behind it. */
export function Logo({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" className={className}>
      <path d="M4 28V6h5v3h4V6h6v3h4V6h5v22h-8v-7a4 4 0 0 0-8 0v7z" fill="currentColor" />
      <path d="M14.4 28v-7a1.6 1.6 0 0 1 3.2 0v7z" className="fill-warn" />
    </svg>
  )
}
