"""When an idempotency record was made is written by the service, whose clock decides over it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('credentials', '0006_open_kinds'),
    ]

    operations = [
        migrations.AlterField(
            model_name='idempotencyrecord',
            name='created_at',
            field=models.DateTimeField(db_index=True),
        ),
    ]
