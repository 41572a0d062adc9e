/** The current release. */
export const version = '0.1.0'
