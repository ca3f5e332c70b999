// The body of Kratos' web hook after a login with a password, for every Kratos
// from 1.3.1 on. It names who logged in and nothing else: no traits, no cookies,
// no tokens.

// What kratos.yml has under response: 'parse' makes ferry answer with what it brought.
// Otherwise ferry answers without a body, because Kratos 25.4 to 26.2 keep the
// connection of every body that they do not read.
local response = 'ignore';

function(ctx)
  local get(object, name) =
    if std.isObject(object) && std.objectHas(object, name) then object[name] else null;
  local header(name) =
    local headers = get(ctx, 'request_headers');
    local lines = [
      line
      for key in std.objectFields(if std.isObject(headers) then headers else {})
      if std.asciiLower(key) == std.asciiLower(name)
      for line in (if std.isArray(headers[key]) then headers[key] else [headers[key]])
      if std.isString(line)
    ];
    if std.length(lines) > 0 then std.join(', ', lines) else null;
  {
    identity: {
      id: get(get(ctx, 'identity'), 'id'),
      external_id: get(get(ctx, 'identity'), 'external_id'),
      schema_id: get(get(ctx, 'identity'), 'schema_id'),
      state: get(get(ctx, 'identity'), 'state'),
    },
    flow: { id: get(get(ctx, 'flow'), 'id'), type: get(get(ctx, 'flow'), 'type') },
    client: { ip: null, user_agent: header('User-Agent') },
    response: response,
  }
