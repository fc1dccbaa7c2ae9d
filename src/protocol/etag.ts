/**
 * Entity tags of catch-up answers (docs/protocol.md 12). They name the life of the stream, the range, and whether its
 * end is the end of all: so none fits after a deletion, after an append, or after a closing.
 */

export const etagOf = (id: string, start: number, end: number, isEnd: boolean): string =>
  `"${id}:${start}:${end}${isEnd ? ":c" : ""}"`

/** Whether an `If-Match`, where there is one, names the tag: not as a weak one (RFC 9110 13.1.1). */
export const wantsOtherTag = (ifMatch: string | undefined, etag: string): boolean =>
  ifMatch !== undefined && ifMatch.trim() !== "*" && !ifMatch.split(",").some((tag) => tag.trim() === etag)

/** Whether an `If-None-Match` names the tag: lists, weak tags and `*` (RFC 9110 13.1.2). */
export const namesTag = (ifNoneMatch: string | undefined, etag: string): boolean => {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === "*") return true
  // Our tags hold no comma, so one that is cut at a comma of its own is not ours.
  return ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag)
}
