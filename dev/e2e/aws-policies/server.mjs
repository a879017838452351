// Stands before a stand-in for AWS and lets through what the applied policies allow: those of the caller's role, of the
// bucket, of the role that is to be taken, and of the VPC endpoint. Its one argument is JSON: { upstream, rules } with the
// path of the rules, which are read for every request, so that a test may change them.
//
// It answers two addresses of its own: POST /_decide with { principal, action, resource, context } says what would be
// decided, GET /_log has every decision since the last time.
import fs from 'node:fs'
import http from 'node:http'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const { upstream, rules: rulesFile } = JSON.parse(process.argv[2])
const to = new URL(upstream)
// Credentials that were handed out here, by their access key: the role that they are of.
const handedOut = {}
let log = []

const bucketOf = (arn) => (arn.startsWith('arn:aws:s3:::') ? arn.slice(13).split('/')[0] : undefined)

async function decide(rules, { principal, action, resource, context = {}, part = false }) {
  const bucket = bucketOf(resource)
  const trust = action === 'sts:AssumeRole' ? rules.trust[resource] : undefined
  const result = await runSimulation({
    request: {
      principal,
      action,
      resource: { resource, accountId: rules.account },
      contextVariables: {
        'aws:SecureTransport': 'true', 'aws:PrincipalArn': principal, 'aws:PrincipalAccount': rules.account, ...context,
      },
    },
    identityPolicies: rules.identity[principal] ?? [],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    // What is asked of encryption when an upload is begun is not asked again for each part.
    resourcePolicy: trust ?? (bucket && !part ? rules.buckets[bucket] : undefined),
    vpcEndpointPolicies: bucket ? [{ name: 's3', policy: rules.endpoint }] : undefined,
  }, {})
  if (result.resultType === 'error') throw new Error(JSON.stringify(result.errors))
  return result.overallResult
}

// What a request asks for, as IAM names it.
function asked(request, body, rules) {
  const target = request.headers['x-amz-target']
  if (target) {
    const [service, operation] = target.split('.')
    const content = JSON.parse(body)
    if (service === 'secretsmanager') {
      return { action: `secretsmanager:${operation}`, resource: rules.secrets[content.SecretId] ?? content.SecretId }
    }
    if (!service.startsWith('Logs_')) throw new Error(`a service that is not understood: ${target}`)
    if (operation === 'DescribeLogGroups') return { action: 'logs:DescribeLogGroups', resource: '*' }
    const stream = content.logStreamName ? `:log-stream:${content.logStreamName}` : ''
    const groups = `arn:aws:logs:${rules.region}:${rules.account}:log-group`
    return { action: `logs:${operation}`, resource: `${groups}:${content.logGroupName}${stream}` }
  }
  if (request.headers.authorization.includes('/sts/')) {
    const form = new URLSearchParams(body)
    const context = { 'sts:RoleSessionName': form.get('RoleSessionName') }
    return { action: `sts:${form.get('Action')}`, resource: form.get('RoleArn'), context }
  }
  return askedOfS3(request)
}

function askedOfS3(request) {
  const url = new URL(request.url, 'http://s3')
  const [bucket, ...rest] = url.pathname.slice(1).split('/')
  const key = decodeURIComponent(rest.join('/'))
  const reads = ['GET', 'HEAD'].includes(request.method)
  const context = {}
  for (const [name, value] of Object.entries(request.headers)) if (name.startsWith('x-amz-')) context[`s3:${name}`] = value
  if (url.searchParams.has('prefix')) context['s3:prefix'] = url.searchParams.get('prefix')
  const upload = url.searchParams.has('uploadId')
  if (!key && reads) return { action: 's3:ListBucket', resource: `arn:aws:s3:::${bucket}`, context }
  if (!key) throw new Error(`a request to a bucket that is not understood: ${request.method} ${request.url}`)
  const deletes = upload ? 's3:AbortMultipartUpload' : 's3:DeleteObject'
  const action = reads ? 's3:GetObject' : request.method === 'DELETE' ? deletes : 's3:PutObject'
  return { action, resource: `arn:aws:s3:::${bucket}/${key}`, context, part: upload }
}

function refuse(request, response, { principal, action, resource }) {
  const message = `User: ${principal} is not authorized to perform: ${action} on resource: ${resource}`
  if (request.headers['x-amz-target']) {
    response.writeHead(400, { 'content-type': 'application/x-amz-json-1.1' })
    response.end(JSON.stringify({ __type: 'AccessDeniedException', message }))
    return
  }
  response.writeHead(403, { 'content-type': 'application/xml' })
  const error = `<Error><Code>AccessDenied</Code><Message>${message}</Message></Error>`
  response.end(request.method === 'HEAD' ? '' : action.startsWith('sts:') ? `<ErrorResponse>${error}</ErrorResponse>` : error)
}

async function pass(request, response, body, role) {
  const { method, url: path, headers } = request
  const onward = http.request({ host: to.hostname, port: to.port, method, path, headers }, (reply) => {
    response.writeHead(reply.statusCode, reply.headers)
    const parts = []
    reply.on('data', (part) => { parts.push(part); response.write(part) })
    reply.on('end', () => {
      // The keys that an assumed role gets are that role's from now on.
      const key = role && Buffer.concat(parts).toString().match(/<AccessKeyId>(\w+)</)
      if (key) handedOut[key[1]] = role
      response.end()
    })
  })
  onward.on('error', (error) => { response.writeHead(502); response.end(String(error)) })
  onward.end(body)
}

async function answer(request, response, body) {
  const rules = JSON.parse(fs.readFileSync(rulesFile))
  if (request.url === '/_decide') {
    response.end(await decide(rules, JSON.parse(body)))
  } else if (request.url === '/_log') {
    response.end(JSON.stringify(log))
    log = []
  } else {
    const key = request.headers.authorization?.match(/Credential=(\w+)\//)?.[1]
    const principal = handedOut[key] ?? rules.keys[key]
    if (!principal) throw new Error(`nobody's access key: ${key}`)
    const question = { principal, ...asked(request, body.toString(), rules) }
    const verdict = await decide(rules, question)
    log.push({ verdict, ...question })
    if (verdict !== 'Allowed') refuse(request, response, question)
    else await pass(request, response, body, question.action === 'sts:AssumeRole' ? question.resource : undefined)
  }
}

const server = http.createServer((request, response) => {
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', () => answer(request, response, Buffer.concat(parts)).catch((error) => {
    console.error(error)
    response.writeHead(500)
    response.end(String(error))
  }))
})
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ address: `http://127.0.0.1:${server.address().port}` })))
