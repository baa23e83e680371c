// The part itself is fetched by address, since what stands here travels with every run of the page.
const ATTEMPTS = 4

function root() {
  const script = document.querySelector('script[src*="/static/js/"]')  // the app may lie below a path of its own
  return script ? script.src.split("/static/js/")[0] : location.origin
}

async function fetched(address) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await import(root() + address + (attempt ? `?attempt=${attempt}` : ""))
    } catch (error) {
      if (attempt + 1 >= ATTEMPTS) throw error
      await new Promise(done => setTimeout(done, 250 * 2 ** attempt))  // the file is put there anew with each run
    }
  }
}

export default async function (component) {
  if (!component.data?.script) return undefined
  return (await fetched(component.data.script)).default(component)
}
