// The body of Kratos' password migration hook, from Kratos 25.4 on.
// It names what ferry needs and nothing else: never pass ctx on whole, it holds the
// person's cookies and tokens. Kratos shows an error of this file to the person, so
// it must not have one: what may be missing is looked for before it is taken.

// The one header in which your proxy, and nobody else, names the person's address:
// local clientIPHeader = 'X-Forwarded-For';
local clientIPHeader = null;

function(ctx)
  local get(object, name) =
    if std.isObject(object) && std.objectHas(object, name) then object[name] else null;
  local header(name) =
    local found = [
      get(ctx, 'request_headers')[key]
      for key in std.objectFields(if std.isObject(get(ctx, 'request_headers')) then ctx.request_headers else {})
      if std.asciiLower(key) == std.asciiLower(name)
    ];
    local lines = [
      line
      for value in found
      for line in (if std.isArray(value) then value else [value])
      if std.isString(line)
    ];
    if std.length(lines) > 0 then std.join(', ', lines) else null;
  {
    identifier: ctx.identifier,
    password: ctx.password,
    identity: {
      id: get(get(ctx, 'identity'), 'id'),
      external_id: get(get(ctx, 'identity'), 'external_id'),
      state: get(get(ctx, 'identity'), 'state'),
    },
    flow: { id: get(get(ctx, 'flow'), 'id') },
    client: {
      ip: if clientIPHeader == null then null else header(clientIPHeader),
      user_agent: header('User-Agent'),
    },
  }
