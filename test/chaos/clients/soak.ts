/**
 * Everything at once for a long time (G16): nothing grows but the logs. Memory is looked at when garbage is collected: how much
 * of it a collector lets lie is its own affair, and grows for hours.
 */
import { ServerProcess } from "../../support/server-process.ts"
import { theilSen } from "../harness/slope.ts"
import type { Suite } from "../harness/suite.ts"
import { Load } from "./soak-load.ts"

/** For the heap to find its size, and for a thousand streams to have their newest events in memory; half of a short run. */
const warmUpMillis = 10 * 60_000

const megabytesMaxPerHour = 1

/** Every kind of request comes some hundred times. */
const briefMinutes = 0.1

export const soak: Suite = {
  name: "soak",
  about: "everything at once for --minutes (60): nothing grows but the logs",
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
    if (load.failed > 0) violations.push(`${load.failed} requests were not answered, or with 5xx`)
    // Of a few seconds they say nothing.
    if (!brief && slopes.megabytes.slope > megabytesMaxPerHour) {
      violations.push(`memory grows by ${slopes.megabytes.slope.toFixed(1)} MB an hour`)
    }
    // Objects outside of V8's heap may lie where others have been, and what is resident does not tell of them for a while.
    if (!brief && slopes.used.low > megabytesMaxPerHour) {
      violations.push(`what objects take grows by ${slopes.used.slope.toFixed(1)} MB an hour`)
    }
    for (const what of ["descriptors", "timers"] as const) {
      const { low, slope } = slopes[what]
      // They go up and down with the followers: beyond doubt, then, not by chance.
      if (!brief && low > 0) violations.push(`${what} grow by ${slope.toFixed(1)} an hour`)
    }
    await server.kill()
    return {
      counts: {
        requests: load.requests,
        failed: load.failed,
        followed: load.followed,
        checked: load.checked,
        megabytesPerHour: rounded(slopes.megabytes.slope),
        megabytesPerHourLow: rounded(slopes.megabytes.low),
        megabytesPerHourHigh: rounded(slopes.megabytes.high),
        usedMegabytesPerHour: rounded(slopes.used.slope),
        usedMegabytesPerHourLow: rounded(slopes.used.low),
        usedMegabytesPerHourHigh: rounded(slopes.used.high),
        megabytesKept: Math.round(kept.at(-1)!.resident / 2 ** 20),
        megabytesMost: Math.round(Math.max(...samples.map(({ megabytes }) => megabytes))),
        descriptorsPerHour: rounded(slopes.descriptors.slope),
        timersPerHour: rounded(slopes.timers.slope),
        samples: kept.length
      },
      violations
    }
  }
}

const rounded = (value: number): number => Math.round(value * 10) / 10
