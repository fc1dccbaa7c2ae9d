/**
 * The document and the server agree: the server serves all that `Api` describes, and `Api` describes all that is
 * served.
 */
import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { HttpApi, OpenApi } from "effect/http-api"
import * as fs from "node:fs"
import { about, server, streams } from "../../src/api/api.ts"
import { version } from "../../src/domain/version.ts"
import { describeProtocol } from "../../src/protocol/protocol-api.ts"
import { describeSubscriptions } from "../../src/subscriptions/subscription-api.ts"
import { append, layerServer, talk } from "../support/served.ts"
import { exchange, request } from "../support/wire.ts"

/** The description that a server gives: of itself, and of each of its rooms. */
const Described = HttpApi.make("durable-streams").add(server, streams, describeProtocol(), describeSubscriptions())
  .annotateMerge(about)

const { paths } = OpenApi.fromApi(Described)

/** `GET /streams/{name}` and the like. */
const described: ReadonlyArray<string> = Object.entries(paths).flatMap(([path, operations]) =>
  Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
).toSorted()

const undescribed = ["/openapi.json", "/docs"]

const json = { "Content-Type": "application/json" }
const root = "/v1/stream/__ds/subscriptions/{id}"
const wake = `{"wake_id":"w","generation":1}`

/** The headers and the body for an operation; the others are called without a body. */
const sent: Readonly<Record<string, readonly [headers?: Record<string, string>, body?: string]>> = {
  "POST /streams/{name}": [json, `{"data":1}`],
  "PUT /v1/stream/{name}": [json, ""],
  "POST /v1/stream/{name}": [json, "[1]"],
  [`PUT ${root}`]: [json, `{"type":"pull-wake","pattern":"a/*","wake_stream":"wakes"}`],
  [`POST ${root}/streams`]: [json, `{"streams":["s"]}`],
  [`POST ${root}/claim`]: [json, `{"worker":"w"}`],
  [`POST ${root}/ack`]: [json, wake],
  [`POST ${root}/callback`]: [json, wake],
  [`POST ${root}/release`]: [json, wake]
}

layer(layerServer(), { excludeTestServices: true })("the document", (it) => {
  it.effect.each(described)(
    "describes only operations that the server answers as described: %s",
    (operation) =>
      talk(async (port) => {
        await append(port, "s", "1")
        await append(port, "wakes", "1")
        const make = sent[`PUT ${root}`]!
        await exchange(port, request("PUT", root.replace("{id}", "i"), ...make))
        const [method, path] = operation.split(" ") as [string, string]
        const target = path.replace("{name}", "s").replace("{id}", "i")
        const reply = await exchange(
          port,
          request(method === "GET" ? "HEAD" : method, target, ...(sent[operation] ?? []))
        )
        const operations = paths[path]![method.toLowerCase() as "get"]!
        assert.include(Object.keys(operations.responses).map(Number), reply.status)
        assert.notInclude([404, 405], reply.status)
      })
  )

  it.effect("describes all that is served: methods are those of Allow, and other paths are not found", () =>
    talk(async (port) => {
      const allowed: Array<string> = []
      const native = Object.keys(paths).filter((path) => !path.startsWith("/v1/"))
      const candidates = [...native, ...undescribed, "/", "/v1", "/metrics", "/streams/{name}/tail"]
      for (const path of candidates) {
        const reply = await exchange(port, request("OPTIONS", path.replace("{name}", "s")))
        if (reply.status === 404) continue
        for (const method of reply.headers["allow"]!.split(", ")) allowed.push(`${method} ${path}`)
      }
      const own = allowed.filter((one) => !/^(?:HEAD|OPTIONS) /.test(one))
      const expected = [
        ...described.filter((operation) => !operation.includes(" /v1/")),
        ...undescribed.map((path) => `GET ${path}`)
      ]
      assert.deepStrictEqual(own.toSorted(), expected.toSorted())
    }))

  it.effect("is served unchanged, with a page that shows it and asks no other host for anything", () =>
    talk(async (port) => {
      const answer = await fetch(`http://127.0.0.1:${port}/openapi.json`)
      assert.strictEqual(answer.headers.get("content-type"), "application/json")
      assert.deepStrictEqual(await answer.json(), JSON.parse(JSON.stringify(OpenApi.fromApi(Described))))
      const page = await fetch(`http://127.0.0.1:${port}/docs`)
      assert.strictEqual(page.status, 200)
      assert.strictEqual(page.headers.get("content-type"), "text/html; charset=utf-8")
      const html = await page.text()
      assert.include(html, "/streams/{name}")
      assert.notMatch(html, /<(?:script|link|img|iframe)[^>]+(?:src|href)="?(?:https?:)?\/\//)
      assert.include(page.headers.get("content-security-policy"), "default-src 'none'")
      assert.include(page.headers.get("content-security-policy"), "connect-src 'self'")
    }))
})

it.effect("the document says which refusals an append can meet", () =>
  Effect.sync(() => {
    const responses = Object.keys(paths["/streams/{name}"]!.post!.responses)
    assert.includeMembers(responses, ["201", "400", "403", "409", "412", "413", "415", "422", "500", "503", "507"])
  }))

it.effect("the document has the version of package.json", () =>
  Effect.sync(() => {
    const file = new URL("../../package.json", import.meta.url)
    assert.strictEqual(version, (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version)
  }))
