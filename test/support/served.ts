/**
 * A whole server in this process, on a free port and in a directory that is removed with it, and short ways to talk to
 * it.
 */
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Server } from "../../src/durable-streams/server.ts"
import type { ServerSettings, SettingsAt } from "../../src/durable-streams/server/settings.ts"
import type { ActiveFactory } from "../../src/hooks/stream-factory.ts"

/** A test's own directory; it is removed afterwards. */
export const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "durable-streams-")))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** A server on a free port, in memory. */
export const serverSettings = (directory: string): SettingsAt => ({
  host: "127.0.0.1",
  port: 0,
  dataDirectory: path.join(directory, "data"),
  storage: "memory",
  durability: "os",
  bodyBytesMax: 1024 * 1024,
  corsOrigins: [],
  longPollMillis: 30_000
})

export const layerServer = (settings: ServerSettings = {}, factory?: typeof ActiveFactory) =>
  Layer.unwrap(
    Effect.map(temporaryDirectory, (directory) => Server.layer({ ...serverSettings(directory), ...settings }, factory))
  )

/** A conversation with the server. */
export const talk = <A>(conversation: (port: number) => Promise<A>) =>
  Effect.flatMap(Server, ({ port }) => Effect.promise(() => conversation(port)))

/**
 * A conversation with a server of its own, which ends afterwards: the next call with the same settings is a restart.
 */
export const during = <A>(settings: ServerSettings, conversation: (port: number) => Promise<A>) =>
  Effect.scoped(Effect.gen(function*() {
    const context = yield* Layer.build(Server.layer(settings))
    return yield* Effect.provideContext(talk(conversation), context)
  }))

export const urlOf = (port: number, name: string): string =>
  `http://127.0.0.1:${port}/streams/${encodeURIComponent(name)}`

export const post = (port: number, name: string, body: string, contentType = "application/json") =>
  fetch(urlOf(port, name), { method: "POST", headers: { "content-type": contentType }, body })

/** Appends one event, whose data is JSON text; returns the event's text. */
export const append = async (port: number, name: string, data: string): Promise<string> => {
  const answer = await post(port, name, `{"data":${data}}`)
  const text = await answer.text()
  if (answer.status !== 201) throw new Error(`Not appended: ${answer.status} ${text}`)
  return text
}

/** Appends 0, 1, 2, … as one commit. */
export const appendNumbers = async (port: number, name: string, count: number): Promise<void> => {
  const body = Array.from({ length: count }, (_, i) => i).join("\n")
  const answer = await post(port, name, body, "application/x-ndjson")
  if (answer.status !== 201) throw new Error(`Not appended: ${answer.status} ${await answer.text()}`)
}

/** The text of every event of the stream, oldest first. */
export const eventTexts = async (port: number, name: string): Promise<ReadonlyArray<string>> => {
  const answer = await fetch(`${urlOf(port, name)}/events`, { headers: { accept: "application/x-ndjson" } })
  return answer.status === 404 ? [] : (await answer.text()).split("\n").slice(0, -1)
}

export const listStreams = async (port: number, query = ""): Promise<ReadonlyArray<string>> => {
  const answer = await fetch(`http://127.0.0.1:${port}/streams${query}`)
  return ((await answer.json()) as { readonly streams: ReadonlyArray<string> }).streams
}
