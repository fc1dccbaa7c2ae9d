/**
 * The flags that say which events of a stream are printed.
 */
import { Flag } from "effect/cli"
import { count, optionalText, orNothing } from "./stream-flags.ts"

export const offset = optionalText("offset", "Where to begin: -1 (the beginning), now, or an offset, which is included")
export const since = optionalText("since", "Only events since then: a duration such as 10m, or RFC 3339")
export const tail = orNothing(count("tail", "Only the last so many events"))
export const limit = orNothing(count("limit", "End after so many events").pipe(Flag.withAlias("l")))
