declare module 'libqp' {
  const libqp: {
    /** Octets as quoted-printable; CR and LF stay. */
    encode(octets: Buffer): string
    /** Soft line breaks so that no line is longer. */
    wrap(text: string, lineLength?: number): string
  }
  export default libqp
}
