declare module 'libqp' {
  const libqp: {
    /** Octets of quoted-printable text; CR and LF stay. */
    decode(text: string): Buffer
  }
  export default libqp
}
