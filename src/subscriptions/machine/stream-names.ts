/**
 * A request means the stream of exactly the name that the client sent. Clients of the protocol may also write a slash at
 * either end of a name (`/events/a`); it counts only if there is a stream of the name with the slash.
 */

/** The lookbehind lets the search read a run of slashes once; without it, it would begin anew at each slash of the run. */
export const withoutEndSlashes = (path: string): string => path.replace(/^\/+|(?<!\/)\/+$/g, "")
