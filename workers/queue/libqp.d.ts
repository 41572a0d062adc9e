declare module 'libqp' {
  const libqp: {
    /** Bytes of quoted-printable text; CR and LF stay. */
    decode(text: string): Buffer
  }
  export default libqp
}
