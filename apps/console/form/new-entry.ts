import { createContext } from 'react'

/** Whether the form makes something: then no secret of it is stored that could stay as it is. */
export const NewEntryContext = createContext(false)
