// Which lines of a chart are listed and drawn. Pure.

/**
 * Which rows are drawn: the isolated one, or the top `n` less those hidden.
 * @param {Array} rows all, greatest first
 */
export function chosen(rows, state) {
  const top = rows.slice(0, state.top);
  const only = state.only && rows.find((row) => row.group.key === state.only);
  if (only) return { listed: top.includes(only) ? top : [...top, only], drawn: [only] };
  return { listed: top, drawn: top.filter((row) => !state.hidden.includes(row.group.key)) };
}
