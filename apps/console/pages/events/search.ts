/** The filter of the events page, as in its URL. */
export type EventsSearch = { q?: string | undefined; type?: string | undefined; worker?: string | undefined }
