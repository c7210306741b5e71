"""Lines that give a secret away, by family: names x relations x values x what programs write around.

``{}`` is the secret, ``NAME`` one of its names.
"""

# ruff: noqa: E501, RUF001
from __future__ import annotations

import random
import string
from typing import Final

from tests.canaries import ALNUM, PASSWORD, mixed, word

NAMES: Final = (
    "password", "Password", "PASSWORD", "passwd", "pwd", "pw", "db_password", "dbPassword",
    "DB_PASSWORD", "spring.datasource.password", "user-password", "PGPASSWORD", "passphrase",
    "MYSQL_ROOT_PASSWORD", "userPwd", "smtp_pass", "DB_PASS", "ansible_ssh_pass", "admin_pw",
    "secret", "client_secret", "clientSecret", "AWS_SECRET_ACCESS_KEY", "secret_key", "jwt.secret",
    "token", "auth_token", "accessToken", "REFRESH_TOKEN", "GITHUB_TOKEN", "bot-token",
    "api_key", "apiKey", "X-Api-Key", "APIKEY", "private_key", "encryption_key", "creds",
    "credentials", "passcode", "keyStorePassword", "old_password", "password2", "new-passwd",
)  # fmt: skip
FAMILIES: Final[dict[str, tuple[str, ...]]] = {
    "sign": (
        "NAME={}", "NAME = {}", "NAME: {}", "NAME:{}", "NAME => {}", "NAME:={}", "NAME := {}",
        "NAME=={}", "NAME : {}", "NAME\t=\t{}", "NAME%3D{}", "NAME -> {}", "NAME->{}", "NAME|{}",
        "NAME | {}", "| NAME | {} |", "**NAME**: {}", "`NAME`: {}", "NAME[0]={}", "user[NAME]={}",
        "(NAME: {})", "[NAME={}]", "<NAME={}>", "{{NAME={}, user=bob}}", "user=bob&NAME={}&x=1",
        "?NAME={}", ";NAME={};Encrypt=yes", "-DNAME={} -jar a.jar", "-e NAME={} img", "#NAME={}",
    ),
    "quoted": (
        'NAME="{}"', "NAME='{}'", 'NAME: "{}"', "NAME = `{}`", '"NAME": "{}"', "'NAME': '{}'",
        '{{\\"NAME\\":\\"{}\\"}}', '{{\\\\\\"NAME\\\\\\":\\\\\\"{}\\\\\\"}}', 'NAME: b"{}"',
        "'NAME': u'{}'", "NAME=N'{}'", "NAME=$'{}'", 'NAME=@"{}"', 'NAME=r"{}"', 'NAME "{}"',
        "NAME=&quot;{}&quot;", "NAME: “{}”", "NAME: «{}»", '{{"NAME" : "{}"}}', '("NAME", "{}")',
        "('NAME', '{}')", '["NAME","{}"]', 'NAME: Some("{}")', "NAME=[{}]", 'NAME=["{}"]',
        ':NAME=>"{}"', 'NAME=Optional[{}]', 'NAME: !!str {}', "NAME: !vault {}", 'NAME: |\n  {}',
        "NAME: >-\n    {}\n", "NAME: |\\n  {}\\n", "NAME: | {}",
    ),
    "open": (
        'NAME="ab"{}', "NAME='ab'{}", "NAME=abc;{}", "NAME=abc,{}", "NAME=ab'{}", 'NAME=ab"{}',
        'NAME="{}', "NAME='{}", "NAME=ab&{}", 'NAME="ab\\"{}"', "NAME=ab}}{}", "NAME=ab]{}",
        "NAME=a\\ {}",
    ),
    "bracket": ("NAME({})", "NAME[{}]", "NAME{{{}}}", "NAME({}) rejected", "NAME('{}')"),
    "pair": (
        '{{"name":"NAME","value":"{}"}}', '{{"name": "NAME", "value": "{}"}},', "- name: NAME\n  value: {}",
        '- name: NAME\n  value: "{}"\n', "{{Name:NAME Value:{} ValueFrom:nil}}", '<add key="NAME" value="{}"/>',
        "<add key='NAME' value='{}' />", '<property name="NAME" value="{}"/>',
        "<property><name>NAME</name><value>{}</value></property>", '<entry key="NAME">{}</entry>',
        "<key>NAME</key><string>{}</string>", '{{"key":"NAME","type":"string","value":"{}"}}',
        '{{"Key": "NAME", "Value": "{}"}}', "Name=NAME,Value={}", "EnvVar(name=NAME, value={})",
        'name: "NAME" value: "{}"', '{{\\"name\\":\\"NAME\\",\\"value\\":\\"{}\\"}}',
        '{{"value":"{}","name":"NAME"}}', '{{"value": "{}", "key": "NAME"}}', "ParameterKey=NAME,ParameterValue={}",
        '<setting name="NAME" serializeAs="String"><value>{}</value></setting>', '<NAME>{}</NAME>',
        '<NAME type="x">{}</NAME>', "<ns:NAME>{}</ns:NAME>", "&lt;NAME&gt;{}&lt;/NAME&gt;", "<NAME><![CDATA[{}]]></NAME>",
        '<input name="NAME" type="password" value="{}">', 'Content-Disposition: form-data; name="NAME"\r\n\r\n{}\r\n',
        '"--NAME","{}"', "['--NAME', '{}']", "--NAME {}", "--NAME '{}'", "--NAME={}", '{{"field":"NAME","content":"{}"}}',
    ),
    "array": (
        '"NAME":["first1X","{}"]', '"NAME": ["first1X", "{}"]', "NAME=[first1X, {}]", "NAME: [first1X {}]",
        'NAME=("first1X" "{}")', "NAME: ['first1X', '{}', 'third3Z']", '{{\\"NAME\\":[\\"first1X\\",\\"{}\\"]}}',
    ),
    "sql": (
        "CREATE USER a IDENTIFIED BY '{}'", "GRANT ALL ON *.* TO 'a'@'%' IDENTIFIED BY '{}' WITH GRANT OPTION",
        "ALTER USER 'a'@'h' IDENTIFIED WITH mysql_native_password BY '{}'", 'create user a identified by "{}"',
        "alter user scott identified by {};", "CREATE ROLE a WITH LOGIN PASSWORD '{}'", "ALTER ROLE a ENCRYPTED PASSWORD '{}'",
        "CREATE USER a WITH PASSWORD '{}'", "CREATE LOGIN a WITH PASSWORD = N'{}'", "SET PASSWORD FOR 'a'@'h' = '{}'",
        "SET PASSWORD = PASSWORD('{}')", "SET PASSWORD FOR a = PASSWORD('{}')", "UPDATE users SET password = '{}' WHERE id = 1",
        "SELECT * FROM u WHERE login='a' AND password='{}'", "CHANGE MASTER TO MASTER_PASSWORD='{}', MASTER_PORT=1",
        "IDENTIFIED BY PASSWORD '{}'", "OPEN MASTER KEY DECRYPTION BY PASSWORD = '{}'", "CREATE USER a SET PASSWORD '{}'",
    ),
    "sql values": (
        "INSERT INTO users (name, password) VALUES ('bob', '{}')", 'INSERT INTO "u" ("password","name") VALUES (\'{}\',\'x\')',
        "insert into t(id,passwd,age) values (1,'{}',3)", "INSERT INTO u (name, token) VALUES ('b, c', '{}')",
    ),
    "command": (
        "sshpass -p {} ssh a@h", "sshpass -p'{}' ssh a@h", "sshpass -p{} scp x", "mysql -p{} -h h", "mysql -u root -p{} db",
        "mysqldump -uroot -p'{}' db > x", "mysqladmin -u root -p{} ping", "mariadb -h h -p{}", "curl -u user:{} http://h",
        "curl -uuser:{} http://h", "curl --user user:{} http://h", "curl -s --user 'user:{}' http://h", "redis-cli -a {} ping",
        "redis-cli -h h -a '{}' ping", "mongo -u a -p {} db", "mongodump --host h -u a -p {}", "ldapsearch -x -D cn=a -w {} -b x",
        "docker login -u a -p {} reg", "helm registry login -u a -p {} h", "zip -P {} a.zip b", "unzip -P {} a.zip", "7z x -p{} a.7z",
        "smbclient -U user%{} //h/s", "smbclient //h/s -U 'user%{}'", "plink -pw {} a@h", "ipmitool -H h -U a -P {} power on",
        "openssl enc -k x -pass pass:{}", "openssl rsa -passin pass:{} -in k", "htpasswd -b f user {}", "htpasswd -cb f user {}",
        "rabbitmqctl add_user bob {}", "rabbitmqctl change_password bob {}", "echo 'bob:{}' | chpasswd", "echo bob:{} | chpasswd",
        "sqlplus scott/{}@db", "sqlcmd -S h -U sa -P {}", "wpa_passphrase net {}", "keytool -storepass {} -list",
        "vault login {}", "snmpget -v3 -u a -A {} h", "xfreerdp /u:a /p:{} /v:h", '["mysql","-u","root","-p{}"]',
        '["sshpass","-p","{}","ssh"]', "['redis-cli', '-a', '{}']", "COMMAND=/usr/bin/mysql -u root -p{}", "sh -c \"mysql -p{}\"",
        "kubectl create secret generic s --from-literal=password={}", "helm upgrade --set auth.password={} x", "wget --password={} u",
        "echo {} | docker login --password-stdin", "net use x: \\\\h\\s {} /user:bob", "mosquitto_pub -u a -P {} -t x",
    ),
    "protocol": (
        "redis AUTH {}", "AUTH {}", "AUTH user {}", "redis AUTH default {}", '1700000000.123 [0 10.0.0.1:1] "AUTH" "{}"',
        '"AUTH" "user" "{}"', "*2\\r\\n$4\\r\\nAUTH\\r\\n$12\\r\\n{}\\r\\n", "HELLO 3 AUTH user {}", "CONFIG SET requirepass {}",
        "requirepass {}", "masterauth {}", "FTP command: PASS {}", "> PASS {}", "C: PASS {}", "PASS {}\\r\\n", "a001 LOGIN bob {}",
        "a1 LOGIN \"bob\" \"{}\"", "machine h login u password {}", "AUTH PLAIN {}", "USER bob PASS {}", "enable secret 5 {}",
        "username admin password 0 {}", "snmp-server community {} RO",
    ),
    "session": (
        "session_id={}", "sessionId={}", "session_id: {}", '"session_id":"{}"', "session-id={}", "SESSIONID={}", "sessid={}",
        "JSESSIONID={}", "PHPSESSID={}", "ASP.NET_SessionId={}", "sessionid={};", "?session_id={}&x=1", "/a;jsessionid={}?x",
    ),
    "hidden": (
        "pass%77ord={}", "%70assword={}", "p%61ssw%6Frd%3D{}", "password%3d{}", "password%253D{}", "pass\u200bword={}", "p\u200dassword={}",
        "pass\u00adword: {}", "ｐａｓｓｗｏｒｄ={}", "ｐａｓｓｗｏｒｄ＝{}", "password＝{}", "password：{}", "\u2060password={}",
        "password\u200b={}", "password=\u200b{}", "\ufeffpassword={}", "password&#61;{}", "password&#x3d;{}", "password\\u003d{}",
        "password\\x3d{}", "\\u0070assword={}", "password=\x1b[31m{}\x1b[0m", "\x1b[1mpassword\x1b[0m={}", "pass\x1b[1mword={}",
        "password\\u003a {}", "{{\\u0022password\\u0022:\\u0022{}\\u0022}}", "api%5Fkey={}", "to%6ben={}", "password\u00a0=\u00a0{}",
    ),
    "prose": (
        "Password is {}", "password is: {}", "the password is {}", "The new password is {}.", "your password was {}", "token is {}",
        "token {} rejected", "token {} is invalid", "invalid token {}", "using token {}", "creds: {}", "Password set to {}",
        "password changed to {}", "password for bob is {}", "Password for user bob: {}", "temporary password for bob: {}", "passwd {}",
        "wrong password {}", "wrong password '{}'", "logging in with password {}", "secret is {}", "api key is {}", "API key: {}",
        "api key {} not found", "generated password {}", "password {} is too short", "using passphrase {}", "passphrase is {}",
        "pass: {}", "pw {}", "pw: {}", "pw is {}", "pwd {}", "credentials bob:{}", "credentials: bob/{}", "login with user bob and password {}",
        "access token: {}", "API token {}", "secret key {}", "password ({})", "username/password: bob/{}", "user:pass bob:{}",
    ),
    "foreign": (
        "Passwort: {}", "Passwort ist {}", "Kennwort: {}", "Kennwort={}", "Das Passwort lautet {}", "mot de passe : {}",
        "Mot de passe: {}", "motdepasse={}", "mdp={}", "mdp : {}", "le mot de passe est {}", "contraseña: {}", "contrasena={}",
        "Contraseña = {}", "la contraseña es {}", "senha: {}", "senha={}", "a senha é {}", "parola: {}", "parola d'ordine: {}",
        "wachtwoord: {}", "lösenord: {}", "hasło: {}", "haslo={}", "пароль: {}", "Пароль={}", "密码：{}", "密码: {}", "パスワード: {}",
        "パスワード：{}", "비밀번호: {}", "Zugangsdaten: {}", "clave: {}", "salasana: {}", "jelszó: {}", "heslo: {}", "şifre: {}",
    ),
}  # fmt: skip
PROGRAMS: Final = (
    "{}", "2026-11-23 10:00:00,123 INFO [main] {} done", "2026-11-23T10:00:00.123Z DEBUG c.e.A - {}",
    "Nov 23 10:00:00 host app[123]: {}", "level=info ts=1700000000.1 {}", "E1123 10:00:00.123456       1 a.go:12] {} x",
    "[2026-11-23 10:00:00] production.ERROR: {}", "{} at com.example.A.b(A.java:12)", "10.0.0.1 - - [23/Nov/2026] {}",
    "+ {}", "Executing: {}", "DEBUG: sql: {}", "error: {} (exit 1)", "<134>1 2026-11-23T10:00:00Z h a 1 - - {}",
)  # fmt: skip
SECRETS: Final = {
    "symbols": PASSWORD,
    "alnum": mixed(ALNUM, 10),
    "hex": lambda dice: word("0123456789abcdef", 31)(dice) + "a" if dice else "",
    "common": lambda dice: word(string.ascii_lowercase, 6)(dice) + str(dice.randint(10, 99)),
    "leet": lambda dice: "Tr0ub" + word(ALNUM, 4)(dice) + "4dor!",
}


def leak(dice: random.Random, family: str) -> tuple[str, str, str]:
    """(the secret, the notation, the line)"""
    notation = dice.choice(FAMILIES[family])
    secret = SECRETS[dice.choice(list(SECRETS))](dice)
    said = notation.replace("NAME", dice.choice(NAMES)).format(secret)
    return secret, notation, dice.choice(PROGRAMS).format(said)
