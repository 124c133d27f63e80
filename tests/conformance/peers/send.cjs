// node send.cjs PORT FILE...: node-hl7-client sends each file once the one before is answered,
// and prints fields of each answer.
const { readFileSync } = require('node:fs')
const { Client, Message } = require('node-hl7-client')

const [port, ...files] = process.argv.slice(2)
const client = new Client({ host: '127.0.0.1' })

const line = client.createConnection({ port: Number(port) }, async (response) => {
  const answer = response.getMessage()
  console.log(['MSA.1', 'MSA.2', 'MSH.9.2', 'MSH.5.1'].map((at) => answer.get(at).toString()).join(' '))
  await next()
})

async function next () {
  const file = files.shift()
  if (file === undefined) {
    await line.close()
    process.exit(0)
  }
  await line.sendMessage(new Message({ text: readFileSync(file, 'latin1') }))
}

line.on('connect', () => { void next() })
line.on('client.error', (error) => { console.error(String(error)); process.exit(1) })
