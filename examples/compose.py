"""Functions of several modules in one worker: a namespace where they are, or a prefix where they are put together.

Here all of it stands in one file.  In a program each `Abilities` has a module of its own.

Try: decorate `resize` twice, and see what `run` says.
"""

import trio

import gearman_trio

# The names of its functions begin with "images.", in whatever worker they are.
images = gearman_trio.Abilities(namespace="images.")
mail = gearman_trio.Abilities(serializer=gearman_trio.TEXT)


@images.function
async def resize(image: bytes) -> bytes:
    return image[::2]


@mail.function
async def send(text: str) -> str:
    return f"sent: {text}"


@mail.function(name="count")
async def count_mails() -> str:
    return "7"


abilities = gearman_trio.Abilities()
abilities.include(images)
abilities.include(mail, prefix="mail.")


async def main() -> None:
    async with (
        gearman_trio.open_server(port=0) as server,
        gearman_trio.open_worker(abilities, server.url) as worker,
        gearman_trio.open_client(server.url) as client,
        gearman_trio.open_admin(server.url) as admin,
    ):
        await worker.wait_ready()
        print(sorted(row.function for row in await admin.status()))
        # Functions know the names that they have by now; programs without them call by name.
        print(await client.run(resize, b"a-picture"), await client.run(send, "good morning"))
        print(await client.run("mail.count"))
        # A worker elsewhere has it without the prefix: another name for one call.
        print(await client.with_options(name="mail.count").run(count_mails))


trio.run(main)
