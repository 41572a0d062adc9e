import { hash, verify } from '@node-rs/argon2'
import type { Passwords } from '../dependencies.ts'

/** OWASP's first recommendation for argon2id: 19 MiB, two passes, one lane. */
const options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

export const passwords: Passwords = {
  hash: (password) => hash(password, options),
  verify: async (phc, password) => {
    try {
      return await verify(phc, password)
    } catch {
      return false
    }
  },
}
