/** The filter of the events page, as its address carries it. */
export type EventsSearch = { q?: string | undefined; type?: string | undefined; worker?: string | undefined }
