/**
 * Which stream a request means: the one of exactly the name that was sent. Clients of the protocol may also write a slash at
 * either end of a name (`/events/a`), which counts only if there is no stream of that name as it was sent.
 */

/** Looks at a run of slashes once, however long it is: without looking behind, it would begin anew at each of them. */
export const withoutEndSlashes = (path: string): string => path.replace(/^\/+|(?<!\/)\/+$/g, "")
