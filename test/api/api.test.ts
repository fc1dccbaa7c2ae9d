/**
 * The document and the server say the same: what `Api` describes is served, and what is served is described.
 */
import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { OpenApi } from "effect/http-api"
import * as fs from "node:fs"
import { Api } from "../../src/api/api.ts"
import { version } from "../../src/domain/version.ts"
import { append, layerServer, talk } from "../support/served.ts"
import { exchange, request } from "../support/wire.ts"

const { paths } = OpenApi.fromApi(Api)

/** `GET /streams/{name}` and the like. */
const described: ReadonlyArray<string> = Object.entries(paths).flatMap(([path, operations]) =>
  Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
).toSorted()

const undescribed = ["/openapi.json", "/docs"]

layer(layerServer(), { excludeTestServices: true })("the document", (it) => {
  it.effect.each(described)("what it describes is served: %s", (operation) =>
    talk(async (port) => {
      await append(port, "s", "1")
      const [method, path] = operation.split(" ") as [string, string]
      const isAppend = method === "POST"
      const reply = await exchange(
        port,
        request(
          isAppend || method === "DELETE" ? method : "HEAD",
          path.replace("{name}", "s"),
          isAppend ? { "Content-Type": "application/json" } : {},
          isAppend ? `{"data":1}` : undefined
        )
      )
      assert.include([200, 201, 204], reply.status)
    }))

  it.effect("what is served is described: methods are those of Allow, and other paths are not found", () =>
    talk(async (port) => {
      const allowed: Array<string> = []
      const candidates = [...Object.keys(paths), ...undescribed, "/", "/v1", "/metrics", "/streams/{name}/tail"]
      for (const path of candidates) {
        const reply = await exchange(port, request("OPTIONS", path.replace("{name}", "s")))
        if (reply.status === 404) continue
        for (const method of reply.headers["allow"]!.split(", ")) allowed.push(`${method} ${path}`)
      }
      const own = allowed.filter((one) => !/^(?:HEAD|OPTIONS) /.test(one))
      assert.deepStrictEqual(own.toSorted(), [...described, ...undescribed.map((path) => `GET ${path}`)].toSorted())
    }))

  it.effect("it is served as it is, with a page that shows it and asks no other host for anything", () =>
    talk(async (port) => {
      const json = await fetch(`http://127.0.0.1:${port}/openapi.json`)
      assert.strictEqual(json.headers.get("content-type"), "application/json")
      assert.deepStrictEqual(await json.json(), JSON.parse(JSON.stringify(OpenApi.fromApi(Api))))
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

it.effect("it says which refusals an append can meet", () =>
  Effect.sync(() => {
    const responses = Object.keys(paths["/streams/{name}"]!.post!.responses)
    assert.includeMembers(responses, ["201", "400", "403", "409", "412", "413", "415", "422", "500", "503", "507"])
  }))

it.effect("the version is that of package.json", () =>
  Effect.sync(() => {
    const file = new URL("../../package.json", import.meta.url)
    assert.strictEqual(version, (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version)
  }))
