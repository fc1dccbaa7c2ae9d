/**
 * Entity tags of catch-up answers (docs/protocol.md 12). A tag names the life of the stream, the range, and whether the
 * stream ends with it: so it fits no more after a deletion, after an append, or after a closing.
 */

export const etagOf = (id: string, start: number, end: number, isEnd: boolean): string =>
  `"${id}:${start}:${end}${isEnd ? ":c" : ""}"`

/** Whether the request has an `If-Match` that does not name the tag; a weak tag does not count (RFC 9110 13.1.1). */
export const wantsOtherTag = (ifMatch: string | undefined, etag: string): boolean =>
  ifMatch !== undefined && ifMatch.trim() !== "*" && !ifMatch.split(",").some((tag) => tag.trim() === etag)

/** Whether an `If-None-Match` names the tag: lists, weak tags and `*` (RFC 9110 13.1.2). */
export const namesTag = (ifNoneMatch: string | undefined, etag: string): boolean => {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === "*") return true
  // Our tags have no comma, so a tag that is cut at its own comma is not ours.
  return ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag)
}
