/**
 * `Accept` (RFC 9110 12.5.1): whether a client prefers one media type to another.
 */

/** Whether the client names `type` with a quality above 0, and does not prefer `other`. */
export const prefers = (accept: string | undefined, type: string, other: string): boolean => {
  if (accept === undefined) return false
  const quality = qualityOf(accept, type)
  if (quality === undefined || quality === 0) return false
  return quality >= (qualityOf(accept, other) ?? qualityOf(accept, "application/*") ?? qualityOf(accept, "*/*") ?? 0)
}

/** The quality of exactly that type in the list, 0 to 1; undefined if the list does not name it. */
const qualityOf = (accept: string, type: string): number | undefined => {
  for (const range of accept.split(",")) {
    const [name, ...parameters] = range.split(";").map((part) => part.trim().toLowerCase())
    if (name !== type) continue
    const quality = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2)
    return quality === undefined ? 1 : /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(quality) ? Number(quality) : 0
  }
  return undefined
}
