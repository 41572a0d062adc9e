import { createContext } from 'react'

/** Whether the form creates an entry. There is then no stored secret to keep. */
export const NewEntryContext = createContext(false)
