// Fetches what the server holds for a map. Addresses name their content, so what was fetched never grows old.
const ATTEMPTS = 6

const FOLDER = new URL(".", import.meta.url)  // this module is served from there too

/** An address as the browser takes it: the server does not know the path that a proxy puts before its own. */
export const located = address => address.startsWith("/media/") ? new URL(address.split("/").pop(), FOLDER).href : address

/** The whole content, as an ArrayBuffer. */
export async function whole(address) {
  return (await answer(address)).arrayBuffer()
}

export async function json(address) {
  return (await answer(address)).json()
}

/** The bytes from start to before end. */
export async function part(address, start, end) {
  const response = await answer(address, { Range: `bytes=${start}-${end - 1}` })
  const content = await response.arrayBuffer()
  return response.status === 206 ? content : content.slice(start, end)  // some proxies know no ranges
}

// A file is put there anew with each run of the page, and between two runs that follow fast it may be missing.
async function answer(address, headers = {}) {
  for (let attempt = 0; ; attempt++) {
    try {
      const response = await fetch(located(address), { headers, cache: "force-cache" })
      if (response.ok) return response
      throw new Error(`the server answered ${response.status}`)
    } catch (error) {
      if (attempt + 1 >= ATTEMPTS) throw error
      await new Promise(done => setTimeout(done, 150 * 2 ** attempt))
    }
  }
}

/** Keeps what `get` promised for the last `limit` keys. */
export function remembered(get, limit) {
  const kept = new Map()
  return key => {
    const before = kept.get(key)
    if (before) return before
    const promise = get(key)
    promise.catch(() => kept.delete(key))
    kept.set(key, promise)
    if (kept.size > limit) kept.delete(kept.keys().next().value)
    return promise
  }
}
