/**
 * The message to a follower whose stream came back without events that were printed (docs/cli.md 1).
 */
import type { Gap } from "../../../client/follow.ts"

export const gapText = (gap: Gap): string => {
  if (gap._tag === "OtherLife") {
    return "The stream was made again, or its server kept it in memory only: the events that were shown are gone. " +
      "Going on from the beginning of the new one."
  }
  const gone = Number(gap.next) - Number(gap.tail)
  return `The stream has lost its newest events, as when a copy of it is put back: of those that were shown, ` +
    `the last ${gone === 1 ? "one is" : `${gone} are`} gone. Going on at its tail.`
}
