/** A text as an SQL literal: names from our own tables and paths of files. What a caller sends is a bound parameter. */
export const sqlText = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** A list of paths, each taken literally: DuckDB's readers expand `*`, `?` and `[`. */
export const sqlPaths = (paths: readonly string[]): string =>
  `[${paths.map((path) => sqlText(path.replace(/[*?[]/g, '[$&]'))).join(', ')}]`
