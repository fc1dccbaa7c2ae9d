/**
 * Attacks by number: requests one behind the other, connections, followers, streams, subscriptions.
 */
import * as net from "node:net"
import { json } from "../../support/wire.ts"
import { usageOf } from "../harness/looks.ts"
import type { Attack, Stage } from "./greed-stage.ts"
import { get, post, prepareAll, prepareBig, put, repeat } from "./greed-stage.ts"

/** Requests behind each other whose answers the attacker does not read. */
const pipeline = (
  name: string,
  route: string,
  target: string,
  connections: number,
  more: Partial<Attack> = {}
): Attack => ({
  name,
  route,
  prepare: prepareBig,
  run: (stage) => stage.unread(connections, stage.scaled(1_000, 300), get(target)),
  ...more
})

const names = (count: number) => Array.from({ length: count }, (_, i) => `n/${i.toString().padStart(6, "0")}`)

/** Creates many streams, as any client may. */
const prepareStreams = (full: number, brief: number) => (stage: Stage) =>
  prepareAll(stage, names(stage.scaled(full, brief)).map((name) => put(`/v1/stream/${name}`)))

const quick = { flags: ["--durability=os"] }

const subscription = (id: string, body: unknown) =>
  put(`/v1/stream/__ds/subscriptions/${id}`, json, JSON.stringify(body))

/** A producer with the longest possible id. */
const producer = (i: number) => ({
  ...json,
  "Producer-Id": `${i}`.padStart(500, "p"),
  "Producer-Epoch": "0",
  "Producer-Seq": "0"
})

export const many: ReadonlyArray<Attack> = [
  pipeline("large reads behind each other", "GET /streams/:name/events", "/streams/big/events", 1),
  pipeline("large reads behind each other on four connections", "GET /streams/:name/events", "/streams/big/events", 4),
  pipeline("large reads of the protocol behind each other", "GET /v1/stream/*", "/v1/stream/big?offset=-1", 1),
  pipeline("followings behind each other", "GET /v1/stream/*?live=sse", "/v1/stream/big?offset=-1&live=sse", 1),
  pipeline("large reads behind each other on eight connections", "GET /v1/stream/*", "/v1/stream/big?offset=-1", 8),
  {
    name: "eight connections take all places of a stream",
    route: "GET /streams/:name",
    run: (stage) => stage.unread(8, 1_300, get("/streams/place")),
    check: async (stage) => {
      const followers = (await usageOf(stage.port))?.followers ?? 0
      // The server answers one request of each connection at a time.
      return followers > 8 ? [`eight connections have ${followers} followers`] : []
    }
  },
  {
    name: "long-polls behind each other",
    route: "GET /v1/stream/*?live=long-poll",
    prepare: (stage) => prepareAll(stage, [put("/v1/stream/polled")]),
    run: (stage) =>
      stage.unread(stage.scaled(64, 16), stage.scaled(500, 100), get("/v1/stream/polled?offset=now&live=long-poll"))
  },
  {
    name: "lists of one name behind each other",
    route: "GET /streams",
    start: quick,
    prepare: prepareStreams(50_000, 5_000),
    run: async (stage) => {
      await stage.read(1, 100, get("/streams?limit=1"))
      await stage.read(1, 100, get("/streams?after=zzz"))
      await stage.read(1, 100, get("/streams?prefix=nope"))
    }
  },
  {
    name: "lists of all names",
    route: "GET /streams",
    start: quick,
    prepare: prepareStreams(20_000, 5_000),
    run: async (stage) => {
      await stage.unread(8, 50, get("/streams"))
      await stage.read(4, stage.scaled(10, 4), get("/streams"))
    }
  },
  {
    name: "thousands of patterns and a name that they all look at",
    route: "PUT /v1/stream/__ds/subscriptions/:id",
    start: quick,
    prepare: (stage) =>
      prepareAll(stage, [
        put("/v1/stream/wake"),
        ...Array.from({ length: stage.scaled(3_000, 600) }, (_, i) =>
          subscription(`s${i}`, {
            type: "pull-wake",
            pattern: `**/${"a/".repeat(120)}${i}`,
            wake_stream: "wake"
          }))
      ]),
    run: async (stage) => {
      await stage.answered(
        Array.from({ length: 10 }, (_, i) => put(`/v1/stream/${"a/".repeat(240)}k${i}`, json, "[1]"))
      )
    }
  },
  {
    name: "new names in a small heap",
    route: "PUT /v1/stream/*",
    start: { ...quick, env: { NODE_OPTIONS: "--max-old-space-size=128" } },
    run: async (stage) => {
      const all = names(stage.scaled(20_000, 8_000))
      for (let from = 0; from < all.length; from += 1_000) {
        const some = all.slice(from, from + 1_000)
        await Promise.all(
          [0, 1, 2, 3].map((part) =>
            stage.answered(some.filter((_, i) => i % 4 === part).map((name) => put(`/v1/stream/${name}`)))
          )
        )
      }
    }
  },
  {
    name: "names that are not there",
    route: "GET /streams/:name/events",
    run: async (stage) => {
      const count = stage.scaled(20_000, 3_000)
      await stage.answered(Array.from({ length: count }, (_, i) => get(`/streams/none-${i}/events`)))
      await stage.unread(4, 1_300, get("/streams/none"))
    }
  },
  {
    name: "made and deleted, again and again",
    route: "DELETE /streams/:name",
    start: quick,
    run: async (stage) => {
      const pairs = Array.from({ length: stage.scaled(3_000, 300) }, () => [
        put("/v1/stream/again", json, "[1]"),
        Buffer.from("DELETE /streams/again HTTP/1.1\r\nHost: localhost\r\n\r\n")
      ])
      await stage.answered(pairs.flat())
    }
  },
  {
    name: "producers by the thousand",
    route: "POST /v1/stream/*",
    prepare: (stage) => prepareAll(stage, [put("/v1/stream/numbered")]),
    run: async (stage) => {
      const count = stage.scaled(11_000, 2_000)
      await Promise.all([0, 1, 2, 3].map((part) =>
        stage.answered(
          Array.from({ length: count / 4 }, (_, i) => post("/v1/stream/numbered", "[1]", producer(4 * i + part)))
        )
      ))
    }
  },
  {
    name: "forks of forks of forks",
    route: "PUT /v1/stream/* with Stream-Forked-From",
    start: quick,
    // Each source is open once, for all its forks that are awake.
    files: 1_000,
    prepare: async (stage) => {
      await prepareAll(stage, [put("/v1/stream/f0", json, "[0]")])
      // Each stream is a fork of the one before, which must exist.
      for (let i = 0; i < stage.scaled(1_000, 100); i++) {
        const source = { ...json, "Stream-Forked-From": `/v1/stream/f${i}` }
        await prepareAll(stage, [put(`/v1/stream/f${i + 1}`, source, `[${i + 1}]`)])
      }
    },
    run: async (stage) => {
      const depth = stage.scaled(1_000, 100)
      // Reads each fork, from its farthest source on.
      await stage.answered(Array.from({ length: depth }, (_, i) => get(`/v1/stream/f${depth - i}?offset=-1`)))
      await stage.read(4, 20, get(`/v1/stream/f${depth}?offset=-1`))
      await stage.unread(4, 200, get(`/streams/f${depth}?offset=-1`))
    }
  },
  {
    name: "followers who read nothing, and large events",
    route: "GET /streams/:name",
    prepare: prepareBig,
    run: async (stage) => {
      await stage.unread(stage.scaled(1_000, 100), 1, get("/streams/big"))
      await stage.answered(Array.from({ length: 10 }, () => post("/v1/stream/big", `["${"x".repeat(900_000)}"]`)))
    }
  },
  {
    name: "slow readers of large answers",
    route: "GET /v1/stream/*",
    prepare: prepareBig,
    run: async (stage) => {
      const sockets = await stage.openAll(stage.scaled(200, 40))
      const timer = setInterval(() => {
        for (const socket of sockets) socket.read(1_024)
      }, 50)
      stage.finally(() => clearInterval(timer))
      sockets.forEach((socket, i) =>
        stage.send(socket, get(i % 2 === 0 ? "/v1/stream/big?offset=-1" : "/streams/big/events"))
      )
    }
  },
  {
    name: "bodies that are never finished",
    route: "POST /streams/:name",
    run: async (stage) => {
      const bytes = 1_048_000
      const head = `POST /streams/open HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
        "Content-Length: 1048576\r\n\r\n"
      const body = Buffer.concat([Buffer.from(head), Buffer.alloc(bytes, 0x20)])
      for (const socket of await stage.openAll(stage.scaled(800, 500))) stage.send(socket, body)
    }
  },
  {
    name: "webhooks that hold",
    route: "PUT /v1/stream/__ds/subscriptions/:id",
    start: { ...quick, wrapper: ["sh", "-c", "ulimit -n 1024 && exec \"$@\"", "sh"] },
    prepare: async (stage) => {
      const receiver = net.createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1")
      await new Promise((resolve) => receiver.once("listening", resolve))
      const { port } = receiver.address() as net.AddressInfo
      const held = new Set<net.Socket>()
      receiver.on("connection", (socket) => held.add(socket))
      stage.finally(() => {
        receiver.close()
        for (const socket of held) socket.destroy()
      })
      await prepareAll(
        stage,
        Array.from(
          { length: stage.scaled(1_200, 1_100) },
          (_, i) =>
            subscription(`w${i}`, { type: "webhook", pattern: "ev/**", webhook: { url: `http://127.0.0.1:${port}/` } })
        )
      )
    },
    run: async (stage) => void await stage.answered([put("/v1/stream/ev/1", json, "[1]")]),
    // The server accepts a new connection now.
    check: async (stage) => {
      const answered = await stage.answered([get("/health")])
      return answered === 1 ? [] : ["a new connection was not answered"]
    }
  },
  {
    name: "the registry of many streams, made again and again",
    route: "PUT /v1/stream/__registry__",
    start: quick,
    prepare: prepareStreams(20_000, 2_000),
    run: async (stage) => {
      const remove = Buffer.from("DELETE /v1/stream/__registry__ HTTP/1.1\r\nHost: localhost\r\n\r\n")
      const make = put("/v1/stream/__registry__")
      await stage.answered(Array.from({ length: stage.scaled(10, 3) }, () => [make, remove]).flat())
    }
  },
  {
    name: "pages and descriptions behind each other",
    route: "GET /docs, GET /openapi.json",
    run: async (stage) => {
      await stage.unread(4, stage.scaled(500, 100), get("/docs"))
      await stage.read(2, stage.scaled(200, 50), get("/openapi.json"))
    }
  },
  {
    name: "small requests behind each other that are refused",
    route: "anything",
    run: async (stage) => {
      const all = [
        get("/nowhere"),
        Buffer.from("OPTIONS /streams/a HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Buffer.from("HEAD /v1/stream/none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        get("/streams/a/events?offset=x"),
        Buffer.from("PATCH /streams/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
      ]
      await stage.unread(4, stage.scaled(2_000, 300), repeat(Buffer.concat(all), 1))
    }
  }
]
