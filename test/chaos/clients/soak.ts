/**
 * Everything at once for a long time (G16): only the logs grow. Memory is measured right after a garbage collection,
 * because the amount of garbage that the collector leaves is its own choice, and grows for hours.
 */
import { ServerProcess } from "../../support/server-process.ts"
import { theilSen } from "../harness/slope.ts"
import type { Suite } from "../harness/suite.ts"
import { Load } from "./soak-load.ts"

/**
 * The time in which the heap finds its size, and a thousand streams get their newest events into memory; half of a
 * short run.
 */
const warmUpMillis = 10 * 60_000

const megabytesMaxPerHour = 1

/** Within this time, every kind of request comes some hundred times. */
const briefMinutes = 0.1

export const soak: Suite = {
  name: "soak",
  about: "everything at once for --minutes (60): only the logs grow",
  rounds: 1,
  run: async (context) => {
    const server = await ServerProcess.make(context.directory)
    await server.start({ tellsMemory: true })
    const load = new Load(context, server)
    const { brief, minutes = brief ? briefMinutes : 60 } = context.options
    const millis = minutes * 60_000
    const warmUp = Math.min(warmUpMillis, millis / 2)
    await load.begin()
    const { kept, samples } = await load.run(millis, warmUp)
    const violations = [...await load.settle()]
    const growth = <A extends { readonly hours: number }>(samples: ReadonlyArray<A>, of: (sample: A) => number) =>
      theilSen(
        samples.filter(({ hours }) => hours >= warmUp / 3_600_000).map((sample) => [sample.hours, of(sample)] as const)
      )
    const slopes = {
      megabytes: growth(kept, ({ resident }) => resident / 2 ** 20),
      used: growth(kept, ({ used }) => used / 2 ** 20),
      descriptors: growth(samples, ({ descriptors }) => descriptors),
      timers: growth(kept, ({ timers }) => timers)
    }
    if (load.failed > 0) violations.push(`${load.failed} requests were not answered, or were answered with 5xx`)
    // The slopes of a few seconds say nothing.
    if (!brief && slopes.megabytes.slope > megabytesMaxPerHour) {
      violations.push(`memory grows by ${slopes.megabytes.slope.toFixed(1)} MB an hour`)
    }
    // Objects outside of V8's heap may reuse memory that other objects have left, so resident memory does not show them
    // for a while.
    if (!brief && slopes.used.low > megabytesMaxPerHour) {
      violations.push(`the memory of objects grows by ${slopes.used.slope.toFixed(1)} MB an hour`)
    }
    for (const what of ["descriptors", "timers"] as const) {
      const { low, slope } = slopes[what]
      // The counts go up and down with the followers, so only growth that is beyond doubt counts, not chance.
      if (!brief && low > 0) violations.push(`${what} grow by ${slope.toFixed(1)} an hour`)
    }
    await server.kill()
    return {
      counts: {
        requests: load.requests,
        failed: load.failed,
        followed: load.followed,
        checked: load.checked,
        megabytesPerHour: round(slopes.megabytes.slope),
        megabytesPerHourLow: round(slopes.megabytes.low),
        megabytesPerHourHigh: round(slopes.megabytes.high),
        usedMegabytesPerHour: round(slopes.used.slope),
        usedMegabytesPerHourLow: round(slopes.used.low),
        usedMegabytesPerHourHigh: round(slopes.used.high),
        megabytesKept: Math.round(kept.at(-1)!.resident / 2 ** 20),
        megabytesMost: Math.round(Math.max(...samples.map(({ megabytes }) => megabytes))),
        descriptorsPerHour: round(slopes.descriptors.slope),
        timersPerHour: round(slopes.timers.slope),
        samples: kept.length
      },
      violations
    }
  }
}

const round = (value: number): number => Math.round(value * 10) / 10
