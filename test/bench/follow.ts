/**
 * A thousand followers of one stream: what it costs the server to give an event to one of them.
 */
import * as fs from "node:fs"
import type { Socket } from "node:net"
import { connect, post } from "./load.ts"
import { type Bench, figure, ratios, show } from "./report.ts"
import { removeDirectory, type ServerProcess, startBare, startOurs, temporaryDirectory } from "./servers.ts"

const rounds = 7
const eventsPerRound = 50
const followersWanted = 1_000

export const data = JSON.stringify({ type: "message", text: "The tests are green, and the build took 12.3 seconds." })

/** As many as the limit of open files lets this process and the server have, both servers followed at once. */
export const followerCount = (): number => {
  const soft = /^Max open files\s+(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "utf8"))?.[1]
  return Math.min(followersWanted, Math.max(100, Number(soft ?? 1024) - 700))
}

export const follow: Bench = {
  name: "follow",
  about:
    `${followerCount()} followers (Server-Sent Events) of one stream in memory; ${eventsPerRound} events a round, the next ` +
    `when everyone has the last, ${rounds} rounds. The bare server writes one shared Buffer to each.`,
  run: async () => {
    const count = followerCount()
    const directory = temporaryDirectory()
    const memory = await startOurs(directory, ["--storage=memory"])
    const bare = await startBare()
    const ours = await audience(memory, "/streams/bench", "/streams/bench", `{"data":${data}}`, count)
    const event = { offset: "0000000000000000", eventStreamId: "bench", data: JSON.parse(data), createdAt: stamp }
    const baseline = await audience(bare, "/follow", "/publish", JSON.stringify(event), count)
    await ours.publish(eventsPerRound)
    await baseline.publish(eventsPerRound)
    for (let round = 0; round < rounds; round++) {
      await ours.round()
      await baseline.round()
    }
    ours.leave()
    baseline.leave()
    await Promise.all([memory.stop(), bare.stop()])
    removeDirectory(directory)
    return [{
      what: `fan-out to ${count} followers: server CPU for each delivery`,
      ours: show(figure(ours.micros), "µs"),
      baseline: show(figure(baseline.micros), "µs"),
      ratio: show(ratios(ours.micros, baseline.micros), "×", 2),
      target: "",
      met: undefined
    }, {
      what: `fan-out to ${count} followers: until the last has it`,
      ours: show(figure(ours.millis), "ms"),
      baseline: show(figure(baseline.millis), "ms"),
      ratio: show(ratios(ours.millis, baseline.millis), "×", 2),
      target: "",
      met: undefined
    }]
  }
}

const stamp = "2026-01-08T00:00:00.000Z"

/** Followers that only count events, by what every event's frame has once; and who publishes to them. */
export const audience = async (
  server: ServerProcess,
  followPath: string,
  publishPath: string,
  body: string,
  count: number,
  events: number = eventsPerRound,
  mark: string = "\ndata: "
) => {
  let delivered = 0
  let wanted = 0
  let everyoneHasIt: (() => void) | undefined
  const onEvents = (more: number) => {
    delivered += more
    if (delivered === wanted) everyoneHasIt?.()
  }
  const sockets: Array<Socket> = []
  for (let i = 0; i < count; i++) sockets.push(await follower(server.port, followPath, onEvents, mark))

  const publish = async (events: number) => {
    for (let i = 0; i < events; i++) {
      wanted += count
      const delivery = new Promise<void>((resolve) => everyoneHasIt = resolve)
      await post({ port: server.port, path: publishPath, body, connections: 1, requests: 1 })
      if (delivered < wanted) await delivery
    }
    if (delivered !== wanted) throw new Error(`${delivered} deliveries, but there should be ${wanted}.`)
  }
  const micros: Array<number> = []
  const millis: Array<number> = []
  return {
    publish,
    round: async () => {
      const before = server.cpu()
      const from = performance.now()
      await publish(events)
      millis.push((performance.now() - from) / events)
      micros.push((server.cpu() - before) / (events * count))
    },
    leave: () => sockets.forEach((socket) => socket.destroy()),
    micros,
    millis
  }
}

/** A socket that follows, once the answer has begun. */
const follower = async (
  port: number,
  path: string,
  onEvents: (count: number) => void,
  mark: string
): Promise<Socket> => {
  const socket = await connect(port)
  await new Promise<void>((resolve) => {
    let rest = ""
    socket.on("data", (chunk) => {
      const text = rest + chunk.toString("latin1")
      if (text.includes("\r\n\r\n")) resolve()
      let count = 0
      for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + mark.length)) count++
      // What may be the first part of a mark is looked at again.
      rest = text.slice(1 - mark.length)
      if (count > 0) onEvents(count)
    })
    socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`)
  })
  return socket
}
